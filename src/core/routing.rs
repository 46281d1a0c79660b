//! Which application a call goes to: the rules of `[[route]]`, first match first.

use std::net::IpAddr;

use sems_app::{Params, Unavailable, Uri};

use crate::config::Cidr;

/// A rule: all of its conditions hold, then its target takes the call.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its place among the rules, from 0, for logs and `ctl route test`.
    pub index: usize,
    /// Its conditions.
    pub when: Conditions,
    /// Where the call goes.
    pub target: Target,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Target {
    /// To an application.
    App {
        /// Its name.
        name: String,
        /// The keys of the route beside its conditions.
        params: Params,
    },
    /// To another SIP server, the request URI as it is (SER-M8).
    Relay {
        /// `sip:host[:port][;transport=tcp]`
        to: Uri,
    },
}

/// The conditions of a route. An empty one always holds; of several values one must.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conditions {
    /// The user part of the request URI; case matters (RFC 3261 section 19.1.4).
    pub user: Vec<Glob>,
    /// The host part of the request URI; case does not matter.
    pub domain: Vec<Glob>,
    /// The From URI: `user@host` where the pattern has an `@`, else its user part.
    pub from: Vec<Glob>,
    /// The method; case matters.
    pub method: Vec<Glob>,
    /// Where the request came from.
    pub source: Vec<Cidr>,
    /// Whether the request URI's address is registered.
    pub registered: Option<bool>,
    /// Why the callee did not take the call. A route with any is tried only after the callee was; a route with
    /// none only before.
    pub on: Vec<Unavailable>,
}

/// A pattern: `*` is any text, `?` one character, the rest itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob(String);

/// What is asked of a [`Router`].
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The user part of the request URI; empty when it has none.
    pub user: &'a str,
    /// The host part of the request URI.
    pub domain: &'a str,
    /// The From URI.
    pub from: &'a Uri,
    /// The method.
    pub method: &'a str,
    /// Where the request came from.
    pub source: IpAddr,
    /// Whether the request URI's address is registered.
    pub registered: bool,
    /// Why the callee did not take the call; none before he was tried.
    pub on: Option<Unavailable>,
}

/// The rules, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Router {
    routes: Vec<Route>,
}

impl Router {
    /// A router of these rules.
    pub fn new(routes: Vec<Route>) -> Self {
        Self { routes }
    }

    /// The rules.
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The first route whose conditions hold.
    pub fn find(&self, query: &Query<'_>) -> Option<&Route> {
        self.routes.iter().find(|route| route.when.hold(query))
    }
}

impl Conditions {
    /// With the patterns of domains in lower case, as [`Router::find`] compares them.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        for pattern in &mut self.domain {
            pattern.0.make_ascii_lowercase();
        }
        self
    }

    fn hold(&self, query: &Query<'_>) -> bool {
        fn any(patterns: &[Glob], text: &str) -> bool {
            patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
        }
        let on = match query.on {
            None => self.on.is_empty(),
            Some(reason) => self.on.contains(&reason),
        };
        on && any(&self.user, query.user)
            && any(&self.domain, &query.domain.to_ascii_lowercase())
            && any(&self.method, query.method)
            && (self.from.is_empty() || self.from.iter().any(|pattern| from_matches(pattern, query.from)))
            && (self.source.is_empty() || self.source.iter().any(|block| block.contains(query.source)))
            && self.registered.is_none_or(|registered| registered == query.registered)
    }
}

fn from_matches(pattern: &Glob, from: &Uri) -> bool {
    let user = from.user().unwrap_or_default();
    match pattern.0.rsplit_once('@') {
        Some((_, host)) => {
            let host_glob = Glob::new(&host.to_ascii_lowercase());
            let user_glob = Glob::new(&pattern.0[..pattern.0.len() - host.len() - 1]);
            user_glob.matches(user) && host_glob.matches(from.host())
        }
        None => pattern.matches(user),
    }
}

impl Glob {
    /// A pattern.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the whole of `text` fits. Takes at most `pattern * text` steps, whatever the pattern.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) = (self.0.chars().collect(), text.chars().collect());
        let (mut p, mut t) = (0, 0);
        // Only the last star needs another try: what fits before it fits as well with that star as short as it was.
        let mut star: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some('*') => {
                    star = Some((p + 1, t));
                    p += 1;
                }
                Some(c) if *c == '?' || Some(c) == text.get(t) => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((after, from)) = star else { return false };
                    star = Some((after, from + 1));
                    (p, t) = (after, from + 1);
                }
            }
        }
        pattern.iter().skip(p).all(|c| *c == '*')
    }
}

/// The application that a request names itself, by `;app=` in its URI or by P-App-Name (SEMS-X1). Only a trusted
/// peer may, and then before any route.
pub fn asserted_application<'a>(
    trusted: bool,
    request_uri: &'a Uri,
    app_name_header: Option<&'a str>,
) -> Option<&'a str> {
    if !trusted {
        return None;
    }
    let name = request_uri.param("app").or(app_name_header)?.trim();
    (!name.is_empty()).then_some(name)
}

/// The routes of a configuration that has none: those of the shipped `sems.toml`.
pub fn default_routes() -> Vec<Route> {
    let app = |name: &str, params: &[(&str, &str)]| Target::App {
        name: name.to_owned(),
        params: Params(
            params.iter().map(|(k, v)| ((*k).to_owned(), toml::Value::String((*v).to_owned()))).collect(),
        ),
    };
    let user = |pattern: &str| Conditions { user: vec![Glob::new(pattern)], ..Conditions::default() };
    let unavailable = Conditions {
        on: vec![Unavailable::Offline, Unavailable::Busy, Unavailable::NoAnswer, Unavailable::Declined],
        ..Conditions::default()
    };
    let rules = [
        (user("echo"), app("echo", &[])),
        (user("conference*"), app("conference", &[])),
        (user("message"), app("ivr", &[("script", "message.py")])),
        (user("welcome"), app("announcement", &[("file", "sounds/en/welcome.wav")])),
        (unavailable, app("voicemail", &[])),
    ];
    let number = |(index, (when, target))| Route { index, when, target };
    rules.into_iter().enumerate().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_the_whole_text() {
        for (pattern, text, fits) in [
            ("echo", "echo", true),
            ("echo", "Echo", false),
            ("echo", "echo1", false),
            ("echo", "", false),
            ("", "", true),
            ("*", "", true),
            ("*", "anything", true),
            ("conference*", "conference", true),
            ("conference*", "conference42", true),
            ("conference*", "myconference", false),
            ("*42", "conference42", true),
            ("a*b*c", "aXXbYYc", true),
            ("a*b*c", "aXXbYY", false),
            ("a*ab", "aab", true),
            ("1??", "123", true),
            ("1??", "12", false),
            ("1??", "1234", false),
            ("?", "é", true),
            ("**x", "x", true),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), fits, "{pattern} against {text}");
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_exponential_time() {
        let pattern = "a*".repeat(60) + "b";
        assert!(!Glob::new(&pattern).matches(&"a".repeat(2000)));
    }

    struct Asked {
        user: &'static str,
        domain: &'static str,
        from: &'static str,
        method: &'static str,
        source: &'static str,
        registered: bool,
        on: Option<Unavailable>,
    }

    const ASKED: Asked = Asked {
        user: "bob",
        domain: "example.org",
        from: "sip:alice@example.org",
        method: "INVITE",
        source: "192.0.2.9",
        registered: false,
        on: None,
    };

    fn holds(when: &Conditions, asked: &Asked) -> bool {
        let from = asked.from.parse().expect("a URI");
        let query = Query {
            user: asked.user,
            domain: asked.domain,
            from: &from,
            method: asked.method,
            source: asked.source.parse().expect("an address"),
            registered: asked.registered,
            on: asked.on,
        };
        when.clone().normalized().hold(&query)
    }

    #[test]
    fn each_condition_must_hold() {
        let glob = |pattern: &str| vec![Glob::new(pattern)];
        let none = Conditions::default;
        for (name, when, asked, expected) in [
            ("none", none(), ASKED, true),
            ("user", Conditions { user: glob("bob"), ..none() }, ASKED, true),
            ("other user", Conditions { user: glob("carol"), ..none() }, ASKED, false),
            ("case of users", Conditions { user: glob("Bob"), ..none() }, ASKED, false),
            ("domain", Conditions { domain: glob("EXAMPLE.org"), ..none() }, ASKED, true),
            (
                "case of domains",
                Conditions { domain: glob("*.org"), ..none() },
                Asked { domain: "X.ORG", ..ASKED },
                true,
            ),
            ("other domain", Conditions { domain: glob("example.com"), ..none() }, ASKED, false),
            ("from user", Conditions { from: glob("al*"), ..none() }, ASKED, true),
            ("from address", Conditions { from: glob("*@Example.org"), ..none() }, ASKED, true),
            ("from elsewhere", Conditions { from: glob("*@example.com"), ..none() }, ASKED, false),
            ("method", Conditions { method: glob("INVITE"), ..none() }, ASKED, true),
            ("other method", Conditions { method: glob("MESSAGE"), ..none() }, ASKED, false),
            (
                "source",
                Conditions { source: vec!["192.0.2.0/24".parse().expect("a block")], ..none() },
                ASKED,
                true,
            ),
            (
                "other source",
                Conditions { source: vec!["10.0.0.0/8".parse().expect("a block")], ..none() },
                ASKED,
                false,
            ),
            ("unregistered", Conditions { registered: Some(false), ..none() }, ASKED, true),
            ("registered", Conditions { registered: Some(true), ..none() }, ASKED, false),
            ("on, before", Conditions { on: vec![Unavailable::Busy], ..none() }, ASKED, false),
            (
                "on, after",
                Conditions { on: vec![Unavailable::Busy], ..none() },
                Asked { on: Some(Unavailable::Busy), ..ASKED },
                true,
            ),
            (
                "on, other reason",
                Conditions { on: vec![Unavailable::Busy], ..none() },
                Asked { on: Some(Unavailable::Offline), ..ASKED },
                false,
            ),
            ("no on, after", none(), Asked { on: Some(Unavailable::Offline), ..ASKED }, false),
        ] {
            assert_eq!(holds(&when, &asked), expected, "{name}");
        }
    }

    fn application(user: &str, on: Option<Unavailable>) -> Option<(String, usize)> {
        let from = "sip:alice@localhost".parse().expect("a URI");
        let source = "127.0.0.1".parse().expect("an address");
        let query =
            Query { user, domain: "localhost", from: &from, method: "INVITE", source, registered: false, on };
        let router = Router::new(default_routes());
        router.find(&query).map(|route| match &route.target {
            Target::App { name, .. } => (name.clone(), route.index),
            Target::Relay { to } => (to.to_string(), route.index),
        })
    }

    // SER-M9, SEMS-VM-4, SEMS-CF-2
    #[test]
    fn the_default_routes_lead_to_the_applications() {
        let named = |name: &str, index| Some((name.to_owned(), index));
        assert_eq!(application("echo", None), named("echo", 0));
        assert_eq!(application("conference", None), named("conference", 1));
        assert_eq!(application("conference7", None), named("conference", 1));
        assert_eq!(application("message", None), named("ivr", 2));
        assert_eq!(application("welcome", None), named("announcement", 3));
        assert_eq!(application("bob", None), None);
        for reason in [Unavailable::Offline, Unavailable::Busy, Unavailable::NoAnswer, Unavailable::Declined]
        {
            assert_eq!(application("bob", Some(reason)), named("voicemail", 4), "{reason:?}");
        }
    }

    // SEMS-X1
    #[test]
    fn only_a_trusted_peer_names_the_application() {
        let uri: Uri = "sip:bob@localhost;app=conference".parse().expect("a URI");
        let plain: Uri = "sip:bob@localhost".parse().expect("a URI");
        assert_eq!(asserted_application(true, &uri, Some("voicemail")), Some("conference"));
        assert_eq!(asserted_application(true, &plain, Some(" voicemail ")), Some("voicemail"));
        assert_eq!(asserted_application(true, &plain, Some("")), None);
        assert_eq!(asserted_application(true, &plain, None), None);
        assert_eq!(asserted_application(false, &uri, Some("voicemail")), None);
    }
}
