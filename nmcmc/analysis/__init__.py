"""From recorded series and log weights to estimates with honest errors. Imports only numpy and types."""
