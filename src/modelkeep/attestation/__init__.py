"""Signatures over models in the OpenSSF format: made by clients, judged by server and client alike.

A signature is a Sigstore bundle: a DSSE envelope around an in-toto statement that lists the files
with their SHA-256. What is written here `model_signing` verifies, and the other way round.
"""
