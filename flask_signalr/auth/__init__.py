"""Auth schemes: plugins that prove who the caller is, one module each."""
