"""The rule of the audit chain: by it the server writes, and client and server prove.

Standard library only, so that whoever verifies an export needs nothing else of ours.
"""
