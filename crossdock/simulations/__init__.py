"""What would become of a webhook, step by step, without storing anything."""

from crossdock.simulations.model import Simulated, Step, Subject
from crossdock.simulations.service import Simulations

__all__ = ["Simulated", "Simulations", "Step", "Subject"]
