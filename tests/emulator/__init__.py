"""An emulator of BigQuery for tests, and a front that corrects it and fails on demand."""
