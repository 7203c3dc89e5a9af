"""The question whether forecasts hold on data sets that nobody has seen."""
