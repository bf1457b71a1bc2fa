"""Who may do what, who did: approval workflow, roles, tokens, hash-chained audit log, registry in SQL, replay."""
