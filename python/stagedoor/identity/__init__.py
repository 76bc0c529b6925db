"""What issuers publish: their keys and metadata, fetched for the data plane."""
