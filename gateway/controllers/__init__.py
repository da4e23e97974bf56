"""One module or package a resource: a controller decodes, calls one service and encodes."""

from typing import Final

from gateway.controllers.admin import AdminTenantController
from gateway.controllers.alerts import AlertController, AlertSettingsController
from gateway.controllers.api_keys import ApiKeyController
from gateway.controllers.audit import AuditController
from gateway.controllers.auth import AuthController
from gateway.controllers.deliveries import (
    CancelController,
    CancelPendingController,
    CancelSomeController,
    DeadLetterController,
    DeliveryController,
)
from gateway.controllers.destinations import (
    DestinationController,
    DestinationHealthController,
    DestinationStatsController,
    InboxController,
)
from gateway.controllers.docs import DocsController
from gateway.controllers.dry_runs import DryRunController
from gateway.controllers.event_types import EventTypeController
from gateway.controllers.events import (
    EventController,
    EventDeliveryController,
    EventTimelineController,
    StreamController,
)
from gateway.controllers.health import HealthController
from gateway.controllers.invitations import InvitationController
from gateway.controllers.jwks import KeySetController
from gateway.controllers.presets import PresetController
from gateway.controllers.problems import ProblemController
from gateway.controllers.replays import ReplayController
from gateway.controllers.retention import RetentionController
from gateway.controllers.roles import RoleController
from gateway.controllers.second_factor import SecondFactorController
from gateway.controllers.sessions import SessionController
from gateway.controllers.shards import AdminShardController
from gateway.controllers.signup import SignupController
from gateway.controllers.simulations import SimulationController
from gateway.controllers.sources import (
    SourceController,
    SourceSecretController,
    SourceTrialController,
)
from gateway.controllers.support import OperatorSupportController, SupportAccessController
from gateway.controllers.tenant import TenantController
from gateway.controllers.users import UserController

CONTROLLERS: Final = (
    AdminShardController,
    AdminTenantController,
    AlertController,
    AlertSettingsController,
    ApiKeyController,
    AuditController,
    AuthController,
    CancelController,
    CancelPendingController,
    CancelSomeController,
    DeadLetterController,
    DeliveryController,
    DestinationController,
    DestinationHealthController,
    DestinationStatsController,
    DocsController,
    DryRunController,
    EventController,
    EventDeliveryController,
    EventTimelineController,
    EventTypeController,
    HealthController,
    InboxController,
    KeySetController,
    PresetController,
    ProblemController,
    ReplayController,
    RetentionController,
    SecondFactorController,
    SessionController,
    SignupController,
    SimulationController,
    SourceController,
    SourceSecretController,
    SourceTrialController,
    StreamController,
    TenantController,
    InvitationController,
    RoleController,
    OperatorSupportController,
    SupportAccessController,
    UserController,
)
