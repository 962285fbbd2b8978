"""Networks in and out: files, a module without hnas, published weights, predictions."""
