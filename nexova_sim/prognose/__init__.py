"""Prognosis: calibrating the twin, following hidden wear, remaining useful life."""
