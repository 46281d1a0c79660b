//! A DNS server for tests: it answers what it was told, and remembers what it was asked.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;
const NAPTR: u16 = 35;
const SOA: u16 = 6;

/// A record.
#[derive(Debug, Clone)]
struct Record {
    name: String,
    kind: u16,
    ttl: u32,
    data: Vec<u8>,
}

#[derive(Debug, Default)]
struct Zone {
    records: Vec<Record>,
    asked: Vec<(String, u16)>,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Dns {
    pub address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

fn name_bytes(name: &str) -> Vec<u8> {
    let labels = name.split('.').filter(|label| !label.is_empty());
    let mut out: Vec<u8> = labels
        .flat_map(|label| {
            let length = u8::try_from(label.len()).expect("a label");
            std::iter::once(length).chain(label.bytes())
        })
        .collect();
    out.push(0);
    out
}

impl Dns {
    /// Answers until the process ends.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("an address");
        let zone: Arc<Mutex<Zone>> = Arc::default();
        let served = zone.clone();
        thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = answer(&buffer[..length], &mut served.lock().expect("a zone")) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        Self { address, zone }
    }

    fn add(&self, name: &str, kind: u16, ttl: u32, data: Vec<u8>) {
        let record = Record { name: name.to_owned(), kind, ttl, data };
        self.zone.lock().expect("a zone").records.push(record);
    }

    pub fn host(&self, name: &str, ttl: u32, ip: &str) {
        match ip.parse().expect("an address") {
            IpAddr::V4(ip) => self.add(name, A, ttl, ip.octets().to_vec()),
            IpAddr::V6(ip) => self.add(name, AAAA, ttl, ip.octets().to_vec()),
        }
    }

    pub fn srv(&self, name: &str, priority: u16, port: u16, target: &str) {
        let mut data = [priority.to_be_bytes(), 1_u16.to_be_bytes(), port.to_be_bytes()].concat();
        data.extend(name_bytes(target));
        self.add(name, SRV, 60, data);
    }

    pub fn naptr(&self, name: &str, order: u16, service: &str, target: &str) {
        let mut data = [order.to_be_bytes(), 10_u16.to_be_bytes()].concat();
        for text in ["s", service, ""] {
            data.push(u8::try_from(text.len()).expect("short"));
            data.extend(text.bytes());
        }
        data.extend(name_bytes(target));
        self.add(name, NAPTR, 60, data);
    }

    /// How often addresses (A) of a name were asked for.
    pub fn asked(&self, name: &str) -> usize {
        let zone = self.zone.lock().expect("a zone");
        zone.asked.iter().filter(|(asked, kind)| asked == name && *kind == A).count()
    }

    /// The table `[dns]` that asks it.
    pub fn table(&self, more: &str) -> String {
        format!("[dns]\nservers = [\"{}\"]\n{more}", self.address)
    }
}

fn answer(query: &[u8], zone: &mut Zone) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let question = query.get(12..at + 4)?.to_vec();
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let name = labels.join(".");
    zone.asked.push((name.clone(), kind));
    let known = zone.records.iter().any(|record| record.name == name);
    let found: Vec<Record> =
        zone.records.iter().filter(|record| record.name == name && record.kind == kind).cloned().collect();
    let code = if known { 0x80 } else { 0x83 };
    let mut out = vec![query[0], query[1], 0x85, code, 0, 1];
    let counts = [u16::try_from(found.len()).ok()?, u16::from(found.is_empty()), 0];
    out.extend(counts.iter().flat_map(|count| count.to_be_bytes()));
    out.extend(question);
    for record in &found {
        out.extend([0xc0, 12]);
        out.extend([record.kind.to_be_bytes(), 1_u16.to_be_bytes()].concat());
        out.extend(record.ttl.to_be_bytes());
        out.extend(u16::try_from(record.data.len()).ok()?.to_be_bytes());
        out.extend(&record.data);
    }
    if found.is_empty() {
        // How long the absence may be remembered (RFC 2308).
        let numbers = [1_u32, 60, 60, 60, 1].map(u32::to_be_bytes).concat();
        let data = [name_bytes("ns.test"), name_bytes("root.test"), numbers].concat();
        out.extend(name_bytes("test"));
        out.extend([SOA.to_be_bytes(), 1_u16.to_be_bytes()].concat());
        out.extend(60_u32.to_be_bytes());
        out.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        out.extend(data);
    }
    Some(out)
}
