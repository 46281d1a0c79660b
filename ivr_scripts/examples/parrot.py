"""Says again what the caller said: a plain function, on a thread of its own."""

import ivr


def serve(call):
    call = call.answer()
    while True:
        call.play(ivr.tone(440, 0.2))
        take = call.record(max_seconds=10, silence=2)
        call.play(take.path)
        if not call.ask("welcome", timeout=5):
            return
