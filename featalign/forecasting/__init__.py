"""The forecast: accuracy of both arms, the gain between them, and a verdict."""
