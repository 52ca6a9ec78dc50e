"""A Spec kept in a file, as TOML or JSON, and read again."""
