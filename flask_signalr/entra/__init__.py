"""Microsoft Entra ID in the place of access keys: tokens for REST calls, and keys for client tokens."""
