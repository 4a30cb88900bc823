"""`modelkeep dev`: embedded Postgres, embedded S3 and the server as one supervised tree."""
