"""A mail server for tests: answers as it is told and keeps what it accepts.

Usage: smtp_server.py FOLDER ANSWER... The answers are given to one mail after the other, the last one to all
that follow. `hang` never answers. The port is printed on the first line.
"""

import asyncio
import pathlib
import sys

from aiosmtpd.smtp import SMTP


class Answers:
    def __init__(self, folder, answers):
        self.folder = folder
        self.answers = answers
        self.mails = 0

    async def handle_DATA(self, server, session, envelope):
        answer = self.answers[min(self.mails, len(self.answers) - 1)]
        self.mails += 1
        if answer == "hang":
            await asyncio.sleep(3600)
        if answer.startswith("250"):
            (self.folder / f"{self.mails}.eml").write_bytes(envelope.content)
        return answer


async def main():
    answers = Answers(pathlib.Path(sys.argv[1]), sys.argv[2:])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(answers, hostname="mail.test", loop=loop), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
