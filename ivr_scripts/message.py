"""The mailbox over one's own messages.

    [[route]]
    user = "message"
    app = "ivr"
    script = "message.py"
    # mailbox = "alice"      # every caller is asked for the PIN of this one; by default for his number first

A caller who has proved to be one of our accounts gets his own mailbox at once. Anybody else says the number
of a mailbox and its PIN; who his phone claims to be means nothing.

For each message: 1 listens, 2 deletes, 3 goes on to the next.
"""

import ivr

TRIES = 3  # wrong PINs before the call ends
MINUTES = 3  # without a digit before the call ends


async def serve(call):
    call = await call.answer()
    mailbox = await open_mailbox(call)
    if mailbox is None:
        await call.play("message/goodbye")
        return
    messages = await mailbox.messages()
    for position, message in enumerate(messages):
        if not await tell(call, mailbox, message):
            await call.play("message/goodbye")
            return
        if position + 1 < len(messages):
            await call.play("message/next_message")
    await call.play("message/no_messages")
    await call.play("message/goodbye")


async def open_mailbox(call):
    """The mailbox this caller may open; None when he may open none."""
    fixed = call.params.get("mailbox")
    if call.account and not fixed:
        try:
            return await call.mailbox()
        except ivr.NoSuchMailbox:
            pass  # an account without a mailbox may open somebody's by PIN
    for _ in range(TRIES):
        number = fixed or await call.ask("message/enter_mailbox", digits=20, timeout=10)
        pin = await call.ask("message/enter_pin", digits=20, timeout=10)
        try:
            # The PIN is asked for in any case, so that nobody learns which mailboxes there are.
            mailbox = await call.mailbox(number) if number else None
            if mailbox and pin and await mailbox.verify_pin(pin):
                return mailbox
        except ivr.NoSuchMailbox:
            pass
        except ivr.MailboxLocked:
            await call.play("message/locked")
            return None
        await call.play("message/wrong_pin")
    return None


async def tell(call, mailbox, message):
    """The menu of one message; False when the caller does not react any more."""
    audio = None
    minutes = 0
    digit = None
    while True:
        if digit is None:
            digit = await call.ask("message/menu", timeout=60)
        if not digit:
            minutes += 1
            if minutes == MINUTES:
                return False
            digit = None
            continue
        minutes = 0
        if digit == "1":
            try:
                audio = audio or await mailbox.audio(message)
                # A digit while the message plays chooses at once.
                digit = await call.play(audio, stop_on="123")
                await mailbox.mark_heard(message)
            except (ivr.BadPrompt, ivr.MailboxError) as error:
                print(f"message {message.id} cannot be played: {error}")
                await call.play("message/damaged")
                return True
        elif digit == "2":
            try:
                await mailbox.delete(message)
            except ivr.NoSuchMessage:
                pass  # deleted meanwhile, from the console or another phone
            await call.play("message/deleted")
            return True
        elif digit == "3":
            return True
        else:
            digit = None
