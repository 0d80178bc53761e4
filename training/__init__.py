"""Makes what the models are taught. Nothing that runs on a robot imports it."""
