"""The command line; it speaks only to `modelkeep.client`.

`main` knows every verb by name and loads its module when it is called, so that help is quick.
"""
