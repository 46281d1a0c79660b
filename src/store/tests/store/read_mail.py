"""Reads a mail as a mail program does: prints its headers, its text and its attachment's name, saves the sound.

Usage: read_mail.py MAIL SOUND
"""

import email
import email.policy
import sys

with open(sys.argv[1], "rb") as file:
    mail = email.message_from_binary_file(file, policy=email.policy.default)
for name in ("From", "To", "Subject", "Message-ID"):
    print(f"{name}: {mail[name]}")
text = mail.get_body(("plain",))
print(f"Charset: {text.get_content_charset()}")
print(text.get_content())
for part in mail.iter_attachments():
    print(f"Attachment: {part.get_filename()} {part.get_content_type()}")
    with open(sys.argv[2], "wb") as file:
        file.write(part.get_payload(decode=True))
