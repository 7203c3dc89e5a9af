"""The study: real training, and how scores and forecasts agree with the measured accuracies."""
