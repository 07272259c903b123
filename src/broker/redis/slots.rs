//! Which node has which topics. Redis Cluster spreads topics over slots as it spreads keys, and slots over masters; a
//! Redis that stands alone has them all.

use std::sync::Arc;

use redis::{
    Client, ConnectionAddr, ErrorKind, FromRedisValue, RedisError, RedisResult, Value, from_redis_value,
};

use crate::protocol::crc16;

/// Slots of a cluster.
const SLOTS: u16 = 16_384;

/// A node, and how to connect to it.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) name: Arc<str>,
    pub(super) client: Client,
}

impl Node {
    /// The node that this client connects to.
    pub(super) fn new(client: &Client) -> Self {
        let name = client.get_connection_info().addr().to_string().into();
        Self { name, client: client.clone() }
    }

    /// Another node of the same cluster: it takes the same credentials, and TLS if this one does.
    fn beside(&self, host: String, port: u16) -> RedisResult<Self> {
        let info = self.client.get_connection_info().clone();
        let addr = match info.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host, port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(host, port),
        };
        Ok(Self::new(&Client::open(info.set_addr(addr))?))
    }
}

/// The masters, each with ranges of slots.
#[derive(Clone, Default)]
pub(super) struct SlotMap(Vec<(u16, u16, Node)>);

impl SlotMap {
    /// One node that has all slots.
    pub(super) fn of_one(node: Node) -> Self {
        Self(vec![(0, SLOTS - 1, node)])
    }

    /// The answer of `asked` to `CLUSTER SLOTS`. A cluster without any master is an error.
    pub(super) fn read(answer: Vec<Vec<Value>>, asked: &Node) -> RedisResult<Self> {
        if answer.is_empty() {
            return Err(unreadable("a cluster without masters"));
        }
        answer.into_iter().map(|range| read_range(range, asked)).collect::<RedisResult<_>>().map(Self)
    }

    /// The node that has this topic, if any has.
    pub(super) fn node_of(&self, topic: &str) -> Option<&Node> {
        let slot = slot_of(topic);
        self.0.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|(.., node)| node)
    }

    /// All masters; one that has several ranges, as often.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.0.iter().map(|(.., node)| node)
    }
}

/// A range of slots: the first one, the last one, the master, its replicas.
fn read_range(range: Vec<Value>, asked: &Node) -> RedisResult<(u16, u16, Node)> {
    let [first, last, master, ..] = <[Value; 3]>::try_from(range.into_iter().take(3).collect::<Vec<_>>())
        .map_err(|_| unreadable("a range without a master"))?;
    let mut master = Vec::<Value>::from_redis_value(master)?.into_iter();
    let (Some(host), Some(port)) = (master.next(), master.next()) else {
        return Err(unreadable("a master without an address"));
    };
    // Without a host it is the one by which the node was reached that says so.
    let host = from_redis_value::<Option<String>>(host)?.filter(|host| !host.is_empty());
    let host = host.or_else(|| host_of(asked)).ok_or_else(|| unreadable("a master without a host"))?;
    Ok((from_redis_value(first)?, from_redis_value(last)?, asked.beside(host, from_redis_value(port)?)?))
}

fn host_of(node: &Node) -> Option<String> {
    match node.client.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => Some(host.clone()),
        _ => None,
    }
}

fn unreadable(what: &'static str) -> RedisError {
    (ErrorKind::UnexpectedReturnType, what).into()
}

/// The slot of a topic. What stands between the first braces, if anything does, stands for all of it.
fn slot_of(topic: &str) -> u16 {
    let tag = topic.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    crc16(tag.filter(|tag| !tag.is_empty()).unwrap_or(topic).as_bytes()) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(url: &str) -> Node {
        Node::new(&Client::open(url).unwrap())
    }

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn range(first: i64, last: i64, host: Value, port: i64) -> Vec<Value> {
        let replica = Value::Array(vec![text("10.0.0.9"), Value::Int(6379)]);
        let master = Value::Array(vec![host, Value::Int(port), text("id")]);
        vec![Value::Int(first), Value::Int(last), master, replica]
    }

    #[test]
    fn a_topic_has_the_slot_that_redis_gives_it() {
        // As `CLUSTER KEYSLOT` of Redis 7 says.
        let slots = [
            ("foo", 12_182),
            ("hopline:{0}", 13_907),
            ("hopline:{127}", 6_102),
            ("{}foo", 9_500),
            ("a{foo}{b}", 12_182),
        ];
        for (topic, slot) in slots {
            assert_eq!(slot_of(topic), slot, "{topic}");
        }
    }

    #[test]
    fn the_map_says_which_master_has_a_topic_and_how_it_is_reached() {
        let asked = node("redis://user:secret@10.0.0.1:7000/");
        let answer = vec![
            range(0, 12_181, text("10.0.0.2"), 7001),
            range(12_182, 12_182, Value::Nil, 7002),
            range(12_184, 16_383, text(""), 7003),
        ];
        let map = SlotMap::read(answer, &asked).unwrap();
        let found = map.node_of("foo").unwrap();
        assert_eq!(&*found.name, "10.0.0.1:7002");
        let settings = found.client.get_connection_info().redis_settings().clone();
        assert_eq!((settings.username(), settings.password()), (Some("user"), Some("secret")));
        assert!(map.nodes().map(|node| &*node.name).eq(["10.0.0.2:7001", "10.0.0.1:7002", "10.0.0.1:7003"]));
    }

    #[test]
    fn a_slot_without_a_master_is_no_ones() {
        let map = SlotMap::read(vec![range(0, 12_181, text("h"), 1)], &node("redis://h/")).unwrap();
        assert!(map.node_of("foo").is_none());
        assert!(SlotMap::of_one(node("redis://h/")).node_of("foo").is_some());
    }

    #[test]
    fn an_answer_that_is_none_is_an_error() {
        let asked = node("redis://h/");
        let ranges = [vec![Value::Int(0)], vec![Value::Int(0), Value::Int(1), Value::Array(vec![])]];
        for answer in ranges.map(|range| vec![range]).into_iter().chain([vec![]]) {
            assert!(SlotMap::read(answer, &asked).is_err());
        }
    }

    #[test]
    fn a_node_found_through_tls_is_reached_by_tls() {
        let map = SlotMap::read(vec![range(0, 16_383, text("h"), 1)], &node("rediss://h/")).unwrap();
        let addr = map.node_of("foo").unwrap().client.get_connection_info().addr().clone();
        assert!(matches!(addr, ConnectionAddr::TcpTls { insecure: false, .. }));
    }
}
