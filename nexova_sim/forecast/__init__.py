"""Forecasts: hourly energy of machines and factories, a week ahead, and what they are worth."""
