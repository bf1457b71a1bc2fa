"""Anomaly detection: features, detectors, calibrated scores, alarms and their evaluation."""
