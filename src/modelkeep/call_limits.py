"""The limits of calls, built from the configuration."""

from modelkeep import config as configuration
from modelkeep.domain import limits
from modelkeep.transport import limiting


def of(config: configuration.Config) -> limiting.Limits:
    """What the configuration allows of calls, streams and connections."""
    return limiting.Limits(
        allowances=(
            limiting.Allowance(config.limit_small_calls_per_s, config.limit_small_calls_at_once),
            limiting.Allowance(
                config.limit_expensive_calls_per_s, config.limit_expensive_calls_at_once
            ),
            limiting.Allowance(config.limit_streams_per_s, config.limit_streams_at_once),
            limiting.Allowance(config.limit_watches_per_s, config.limit_watches_at_once),
        ),
        running_calls=config.limit_running_calls,
        streams_per_connection=config.limit_streams_per_connection,
        deadline_s=config.limit_deadline_s,
        reader_stall_s=config.limit_reader_stall_s,
        upload_bytes_per_s=config.limit_upload_kib_per_s * limits.KIB,
        connections=config.limit_connections,
    )
