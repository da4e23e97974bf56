"""What revision 0005 adds: kinds of destinations, order, status, alerts by webhook."""
