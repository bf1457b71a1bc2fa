"""Alerts: rules compiled from a policy, the engine, KPIs, comparison of policies, and the event stream."""
