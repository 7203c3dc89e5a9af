"""Agreement of scores and forecasts with accuracies that were really measured."""
