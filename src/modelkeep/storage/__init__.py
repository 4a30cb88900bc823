"""The only SQL: one module per aggregate, statements beside the function that runs them."""
