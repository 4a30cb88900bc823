"""Whether credentials are what they claim: tokens of issuers we trust, and certificates."""
