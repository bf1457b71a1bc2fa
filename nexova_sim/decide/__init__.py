"""Decisions: what a policy, a rule or a language model would do about an alert, and what came of it."""
