"""What can be read out of a dataset directly, and what forecasts, prognosis and detection share."""
