"""Scheduling machines against tariff, demand charge, heat and quota: model, environment, controllers, bounds."""
