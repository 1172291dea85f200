//! Who has to prove what: a list of rules from `taos.toml`, like PostgreSQL's pg_hba. The first that matches decides; when none does,
//! nobody gets in.
//!
//! Without a list: SCRAM for everybody, but whoever comes over loopback is trusted while nobody has a password, and the first superuser while it
//! has none, so that a new server can be set up and nobody is locked out.

use std::net::IpAddr;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use taospg_query::Engine;

/// How somebody proves who they are.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub enum Method {
    #[serde(rename = "trust")]
    Trust,
    #[serde(rename = "scram-sha-256")]
    Scram,
    #[serde(rename = "reject")]
    Reject,
}

/// Which connections a rule is about.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    #[default]
    Host,
    /// Encrypted ones.
    HostSsl,
    /// Those that are not.
    HostNoSsl,
}

/// One rule. What it does not say is about all.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(rename = "type", default)]
    pub kind: Kind,
    #[serde(default)]
    pub address: Addresses,
    #[serde(default)]
    pub database: Names,
    #[serde(default)]
    pub user: Names,
    pub method: Method,
}

/// `"all"`, one name or a list; `"+group"` is the members of a role, `"sameuser"` the database of the user's name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Names {
    #[default]
    All,
    One(String),
    Several(Vec<String>),
}

impl Names {
    fn any(&self, mut matches: impl FnMut(&str) -> bool) -> bool {
        match self {
            Names::All => true,
            Names::One(name) => name == "all" || matches(name),
            Names::Several(names) => names.iter().any(|name| name == "all" || matches(name)),
        }
    }
}

/// `"all"`, `"loopback"`, an address, or a network such as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Addresses {
    #[default]
    All,
    Loopback,
    Network {
        address: IpAddr,
        /// Bits that count.
        bits: u8,
    },
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Addresses, D::Error> {
        let text = String::deserialize(deserializer)?;
        Addresses::read(&text).ok_or_else(|| {
            let message = format!("\"{text}\" is no address such as \"10.0.0.0/8\", \"loopback\" or \"all\"");
            de::Error::custom(message)
        })
    }
}

impl Addresses {
    fn read(text: &str) -> Option<Addresses> {
        match text {
            "all" => return Some(Addresses::All),
            "loopback" => return Some(Addresses::Loopback),
            _ => {}
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(bits_max);
        (bits <= bits_max).then_some(Addresses::Network { address, bits })
    }

    fn contains(&self, peer: IpAddr) -> bool {
        match self {
            Addresses::All => true,
            Addresses::Loopback => peer.is_loopback(),
            Addresses::Network { address, bits } => match (address, peer) {
                (IpAddr::V4(network), IpAddr::V4(peer)) => {
                    let mask = u32::MAX.checked_shl(32 - u32::from(*bits)).unwrap_or(0);
                    network.to_bits() & mask == peer.to_bits() & mask
                }
                (IpAddr::V6(network), IpAddr::V6(peer)) => {
                    let mask = u128::MAX.checked_shl(128 - u32::from(*bits)).unwrap_or(0);
                    network.to_bits() & mask == peer.to_bits() & mask
                }
                _ => false,
            },
        }
    }
}

/// Who comes, from where, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Visit<'a> {
    pub user: &'a str,
    pub database: &'a str,
    pub address: IpAddr,
    pub encrypted: bool,
}

/// What a visitor has to do; `None` when no rule is about it.
pub fn method(rules: &[Rule], engine: &Engine, visit: Visit<'_>) -> Option<Method> {
    if rules.is_empty() {
        return Some(without_rules(engine, visit));
    }
    let is_member = |user: &str, group: &str| engine.is_member(user, group);
    rules
        .iter()
        .find(|rule| matches(rule, visit, is_member))
        .map(|rule| rule.method)
}

fn without_rules(engine: &Engine, visit: Visit<'_>) -> Method {
    let nobody_has_one = || !engine.any_password();
    let first_has_none = || engine.is_first_role(visit.user) && !engine.first_role_has_password();
    match visit.address.is_loopback() && (nobody_has_one() || first_has_none()) {
        true => Method::Trust,
        false => Method::Scram,
    }
}

fn matches(rule: &Rule, visit: Visit<'_>, is_member: impl Fn(&str, &str) -> bool) -> bool {
    let kind = match rule.kind {
        Kind::Host => true,
        Kind::HostSsl => visit.encrypted,
        Kind::HostNoSsl => !visit.encrypted,
    };
    let user = |name: &str| match name.strip_prefix('+') {
        Some(group) => is_member(visit.user, group),
        None => name == visit.user,
    };
    let database = |name: &str| match name {
        "sameuser" => visit.database == visit.user,
        name => name == visit.database,
    };
    // An IPv4 client of a socket for both is what it is.
    kind && rule.address.contains(visit.address.to_canonical()) && rule.database.any(database) && rule.user.any(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        let text = format!("[[authentication]]\n{}", text.replace("; ", "\n"));
        crate::config::rules_for_test(&text).unwrap().remove(0)
    }

    fn decides(text: &str, user: &str, database: &str, address: &str, encrypted: bool) -> bool {
        let visit = Visit {
            user,
            database,
            address: address.parse().unwrap(),
            encrypted,
        };
        matches(&rule(text), visit, |user, group| (user, group) == ("ada", "fleet"))
    }

    #[test]
    fn a_rule_is_about_what_it_names_and_else_about_all() {
        let trust = |more: &str| format!("method = \"trust\"{more}");
        assert!(decides(&trust(""), "ada", "power", "10.1.2.3", false));
        let network = trust("; address = \"10.0.0.0/8\"");
        assert!(decides(&network, "ada", "power", "10.1.2.3", false));
        assert!(decides(&network, "ada", "power", "::ffff:10.1.2.3", false));
        assert!(!decides(&network, "ada", "power", "11.1.2.3", false));
        assert!(!decides(&network, "ada", "power", "fe80::1", false));
        assert!(decides(
            &trust("; address = \"0.0.0.0/0\""),
            "ada",
            "power",
            "11.1.2.3",
            false
        ));
        assert!(decides(
            &trust("; address = \"fe80::/10\""),
            "ada",
            "power",
            "fe80::1",
            false
        ));
        assert!(decides(
            &trust("; address = \"loopback\""),
            "ada",
            "power",
            "::1",
            false
        ));
        let encrypted = trust("; type = \"hostssl\"");
        assert!(decides(&encrypted, "ada", "power", "10.1.2.3", true));
        assert!(!decides(&encrypted, "ada", "power", "10.1.2.3", false));
        assert!(!decides(
            &trust("; type = \"hostnossl\""),
            "ada",
            "power",
            "10.1.2.3",
            true
        ));
        let names = trust("; user = [\"eve\", \"+fleet\"]; database = \"power\"");
        assert!(decides(&names, "ada", "power", "10.1.2.3", false));
        assert!(decides(&names, "eve", "power", "10.1.2.3", false));
        assert!(!decides(&names, "bob", "power", "10.1.2.3", false));
        assert!(!decides(&names, "ada", "other", "10.1.2.3", false));
        assert!(decides(
            &trust("; database = \"sameuser\""),
            "ada",
            "ada",
            "10.1.2.3",
            false
        ));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "method = \"md5\"",
            "address = \"all\"",
            "method = \"trust\"\naddress = \"10.0.0.0/33\"",
            "method = \"trust\"\naddress = \"example.org\"",
            "method = \"trust\"\ntype = \"local\"",
            "method = \"trust\"\nusr = \"ada\"",
        ] {
            let text = format!("[[authentication]]\n{text}");
            let message = crate::config::rules_for_test(&text).unwrap_err();
            assert!(!message.contains('\n'), "{message}");
        }
    }
}
