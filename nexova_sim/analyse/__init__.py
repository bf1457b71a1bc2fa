"""Features, detectors, forecasts, prognosis, opportunities: what can be read out of a dataset."""
