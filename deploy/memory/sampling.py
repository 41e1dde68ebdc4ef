"""Knows how a sample set comes back over a transport. What it asks is board_shell's; what it proves, evidence's."""

from __future__ import annotations

from deploy.board_shell.framing import Framing
from deploy.board_shell.observation import Observation, parse_observation
from deploy.board_shell.samples import Pace, reset_peak_script, sampling_script
from deploy.errors import BadAnswer
from deploy.memory.subject import Subject
from deploy.model.reading import Process
from deploy.transport.protocol import Transport

_SHOWN_CHARACTERS = 200


def observe(transport: Transport, subject: Subject, pace: Pace) -> Observation:
    """One sample set in one round trip; a missing process is a value. Raises BadAnswer, and as `transport.run`."""
    framing = Framing.new()
    ended = transport.run(sampling_script(framing, subject.layout, subject.asked_pid, pace, subject.finding))
    try:
        return parse_observation(framing, ended.stdout)
    except BadAnswer as fault:
        said = fault.detail or ended.stderr.decode("utf-8", "replace").strip()
        raise BadAnswer(fault.problem, transport.host, detail=said[:_SHOWN_CHARACTERS]) from fault


def reset_peak(transport: Transport, process: Process) -> bool:
    """Set VmHWM back to what is resident now; False where this kernel or login doesn't allow it."""
    return transport.run(reset_peak_script(process)).exit_status == 0
