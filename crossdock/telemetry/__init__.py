"""What Crossdock says about itself: logs, metrics and trace context."""
