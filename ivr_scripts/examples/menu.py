"""A menu: 1 for sales, 2 to leave word for somebody, anything else once more."""

import ivr


async def serve(call):
    call = await call.answer()
    for _ in range(3):
        match await call.ask("welcome", digits=1, timeout=10):
            case "1":
                return await sales(call)
            case "2":
                return await leave_word(call, "alice")
    await call.play("goodbye")


async def sales(call):
    try:
        agent = await call.dial("sales", timeout=20)
    except ivr.NotAnswered:
        return await leave_word(call, "sales")
    await call.bridge(agent)


async def leave_word(call, whom):
    mailbox = await call.mailbox(whom)
    await call.play([await mailbox.greeting() or "vm/unavailable", ivr.tone(440, 0.4)])
    await mailbox.leave_message(max_seconds=30, silence=10)
    await call.play("vm/saved")
