"""What webhooks can be told of."""

from enum import StrEnum


class WebhookEvent(StrEnum):
    """Names of events, as clients ask for them."""

    TRAINING_SUCCEEDED = "training.succeeded"
    TRAINING_FAILED = "training.failed"
    MODEL_PROMOTED = "model.promoted"
    MODEL_ARCHIVED = "model.archived"
    MODEL_RESTORED = "model.restored"
    MODEL_DELETED = "model.deleted"
    IMPORT_FINISHED = "import.finished"
    EXPORT_FINISHED = "export.finished"
    EXPERIMENT_STARTED = "experiment.started"
    EXPERIMENT_STOPPED = "experiment.stopped"
    USER_ERASED = "user.erased"


TEST = "webhook.test"
"""What a test sends, whatever the webhook listens to."""
