"""From settings to results: the only package that sees every layer. Imported by nothing but the command line."""
