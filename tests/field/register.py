"""Registers a contact: answers the digest of the server by SHA-256, as another program would.

Usage: register.py PORT USER PASSWORD CONTACT EXPIRES; prints the statuses that came.
"""

import hashlib
import re
import socket
import sys

port, user, password, contact, expires = sys.argv[1:]
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.settimeout(20)
sock.connect(("127.0.0.1", int(port)))
local = "127.0.0.1:%d" % sock.getsockname()[1]
uri = "sip:localhost"


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def register(number, credentials):
    lines = [
        f"REGISTER {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {local};branch=z9hG4bKreg{number}{local[10:]};rport",
        "Max-Forwards: 70",
        f"From: <sip:{user}@localhost>;tag=r",
        f"To: <sip:{user}@localhost>",
        f"Call-ID: reg{local}",
        f"CSeq: {number} REGISTER",
        f"Contact: <{contact}>",
        f"Expires: {expires}",
        "User-Agent: register.py",
        *credentials,
        "Content-Length: 0",
    ]
    sock.send(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = sock.recv(65535).decode()
    print(answer.split()[1])
    return answer


challenged = register(1, [])
for challenge in re.findall(r"WWW-Authenticate: Digest (.*)\r", challenged, re.I):
    values = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
    if values.get("algorithm") != "SHA-256":
        continue
    nonce = values["nonce"]
    secret, action = sha(f"{user}:{values['realm']}:{password}"), sha(f"REGISTER:{uri}")
    response = sha(f"{secret}:{nonce}:00000001:abc:auth:{action}")
    register(2, [
        f'Authorization: Digest username="{user}", realm="{values["realm"]}", nonce="{nonce}", uri="{uri}", '
        f'response="{response}", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="abc"'
    ])
    break
