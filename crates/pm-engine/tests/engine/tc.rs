//! Traffic control in memory: what stands at each interface's root, and who put it there.

use std::collections::{BTreeMap, BTreeSet};

use pm_core::backend::ShapingError;
use pm_core::ruleset::{Class, Installed, RoomId};
use pm_core::shaping::Classifier;
use pm_core::units::BitRate;

/// The interfaces, and where the default routes lead.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrafficControl {
    pub(crate) uplinks: BTreeSet<String>,
    interfaces: BTreeMap<String, Interface>,
    /// The kernel has no `fw` classifier.
    pub(crate) lacks_fw: bool,
}

#[derive(Clone, Debug)]
struct Interface {
    root: Root,
    /// What the host's owner last put there.
    own: Host,
}

/// What stands at a root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Root {
    Host(Host),
    Ours(Tree),
    /// What pm could not put back.
    Foreign(String),
}

/// A root that is not pm's: the kernel's own, or one that somebody chose, of several queues
/// perhaps.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Host {
    /// The kind; empty: the kernel's own.
    kind: String,
    /// What each queue has; `None`: the kernel's own.
    queues: Vec<Option<String>>,
}

/// pm's tree.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tree {
    pub(crate) classes: BTreeMap<u16, BitRate>,
    /// The class of everything else, once it is there, by what its leaf is like.
    default: Option<String>,
    classifier: Classifier,
    /// Whether somebody has meddled with it.
    damaged: bool,
}

/// One request to the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Request {
    CreateRoot,
    DeleteRoot,
    RestoreRoot(Host),
    RestoreQueue(usize, String),
    SetDefault(String),
    SetClassifier(Classifier),
    SetClass(u16, BitRate),
    DeleteClass(u16),
}

impl Host {
    fn is_default(&self) -> bool {
        self.kind.is_empty()
    }

    /// Returns words from which it can be put back.
    fn emit(&self) -> String {
        let mut text = format!("root {}", self.kind);
        for queue in &self.queues {
            text.push('/');
            text.push_str(queue.as_deref().unwrap_or_default());
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut words = text.strip_prefix("root ").unwrap().split('/');
        let kind = words.next().unwrap().to_owned();
        let queue = |word: &str| Some(word.to_owned()).filter(|word| !word.is_empty());
        let queues = words.map(queue).collect();
        Some(Self { kind, queues })
    }
}

impl TrafficControl {
    /// Adds an interface on which the kernel's own root stands.
    pub(crate) fn add_interface(&mut self, name: &str) {
        let own = Host::default();
        let root = Root::Host(own.clone());
        self.interfaces
            .insert(name.to_owned(), Interface { root, own });
    }

    /// The host's owner puts this at the root; the words are the queues'.
    pub(crate) fn choose(&mut self, name: &str, kind: &str, queues: &[&str]) {
        let one = self.interfaces.get_mut(name).unwrap();
        let queues = queues.iter().map(|&queue| Some(queue.to_owned())).collect();
        let kind = kind.to_owned();
        one.own = Host { kind, queues };
        one.root = Root::Host(one.own.clone());
    }

    /// Somebody puts something at the root that pm could not put back.
    pub(crate) fn occupy(&mut self, name: &str, kind: &str) {
        self.interfaces.get_mut(name).unwrap().root = Root::Foreign(kind.to_owned());
    }

    /// Somebody meddles with pm's tree.
    pub(crate) fn damage(&mut self, name: &str) {
        let root = &mut self.interfaces.get_mut(name).unwrap().root;
        let Root::Ours(tree) = root else {
            panic!("{name} has no tree of pm's")
        };
        tree.damaged = true;
    }

    /// Somebody changes a class of pm's.
    pub(crate) fn set_class(&mut self, name: &str, minor: u16, rate: BitRate) {
        self.apply(name, Request::SetClass(minor, rate));
    }

    /// The interface goes.
    pub(crate) fn remove_interface(&mut self, name: &str) {
        self.interfaces.remove(name);
        self.uplinks.remove(name);
    }

    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &str> {
        self.interfaces.keys().map(String::as_str)
    }

    pub(crate) fn root(&self, name: &str) -> &Root {
        &self.interfaces[name].root
    }

    /// Returns pm's tree, where it stands.
    pub(crate) fn tree(&self, name: &str) -> Option<&Tree> {
        match self.root(name) {
            Root::Ours(tree) => Some(tree),
            _ => None,
        }
    }

    /// Whether an interface has exactly what its owner last chose.
    pub(crate) fn is_given_back(&self, name: &str) -> bool {
        let one = &self.interfaces[name];
        one.root == Root::Host(one.own.clone())
    }

    /// Returns in the words of [`host_root`](Self::host_root) what the owner last chose.
    pub(crate) fn own(&self, name: &str) -> String {
        self.interfaces[name].own.emit()
    }

    /// Returns the rooms whose class some uplink with pm's rules does not have.
    pub(crate) fn unclassed(&self, installed: &Installed) -> BTreeSet<RoomId> {
        let rooms = installed.rooms.iter();
        let classed =
            rooms.filter_map(|(&room, found)| Some((room, found.intact.as_ref()?.class?)));
        let unclassed = classed.filter(|&(_, class)| {
            let has = |name: &String| {
                self.interfaces.contains_key(name)
                    && self.tree(name).is_some_and(|tree| tree.has(class))
            };
            !self.uplinks.iter().all(has)
        });
        unclassed.map(|(room, _)| room).collect()
    }

    pub(crate) fn read(&self, name: &str) -> Result<&Root, ShapingError> {
        let one = self.interfaces.get(name);
        let one = one.ok_or_else(|| ShapingError::Kernel("no such interface".into()))?;
        match &one.root {
            Root::Foreign(kind) => Err(ShapingError::ForeignQdisc {
                interface: name.to_owned(),
                kind: kind.clone(),
            }),
            root => Ok(root),
        }
    }

    /// Says whether the kernel can do what `classifier` asks for.
    pub(crate) fn offers(&self, classifier: Classifier) -> Result<(), ShapingError> {
        if self.lacks_fw && !classifier.is_priority() {
            return Err(ShapingError::NoFwClassifier(
                "TC classifier not found".into(),
            ));
        }
        Ok(())
    }

    pub(crate) fn host_root(&self, name: &str) -> Result<Option<String>, ShapingError> {
        match self.read(name)? {
            Root::Host(host) => Ok(Some(host.emit())),
            _ => Ok(None),
        }
    }

    /// Returns the requests that shape an interface.
    pub(crate) fn plan(
        &self,
        name: &str,
        classes: &BTreeMap<u16, BitRate>,
        classifier: Classifier,
        host: &str,
    ) -> Result<Vec<Request>, ShapingError> {
        let mut requests = Vec::new();
        let none = Tree::default();
        let tree = match self.read(name)? {
            Root::Ours(tree) if !tree.damaged => tree,
            Root::Ours(_) => {
                let chosen = Host::parse(host).filter(|host| !host.is_default());
                requests.push(match chosen {
                    Some(host) => Request::RestoreRoot(host.bare()),
                    None => Request::DeleteRoot,
                });
                requests.push(Request::CreateRoot);
                &none
            }
            _ => {
                requests.push(Request::CreateRoot);
                &none
            }
        };
        if tree.default.is_none() {
            requests.push(Request::SetDefault(host.to_owned()));
        }
        if tree.classifier != classifier {
            requests.push(Request::SetClassifier(classifier));
        }
        let unwanted = tree
            .classes
            .keys()
            .filter(|minor| !classes.contains_key(minor));
        requests.extend(unwanted.map(|&minor| Request::DeleteClass(minor)));
        let wanted = classes.iter();
        let missing = wanted.filter(|(minor, rate)| tree.classes.get(minor) != Some(rate));
        requests.extend(missing.map(|(&minor, &rate)| Request::SetClass(minor, rate)));
        Ok(requests)
    }

    /// Returns the requests that give an interface's root back.
    pub(crate) fn withdrawal(&self, name: &str, host: &str) -> Vec<Request> {
        let Ok(root) = self.read(name) else {
            return Vec::new();
        };
        let chosen = Host::parse(host).filter(|host| !host.is_default());
        let mut requests = Vec::new();
        let have = match (root, &chosen) {
            (Root::Ours(_), None) => return vec![Request::DeleteRoot],
            (Root::Ours(_), Some(chosen)) => {
                requests.push(Request::RestoreRoot(chosen.bare()));
                chosen.bare().queues
            }
            (Root::Host(found), Some(chosen)) if found.kind == chosen.kind => found.queues.clone(),
            _ => return requests,
        };
        let queues = chosen.into_iter().flat_map(|chosen| chosen.queues);
        for (number, queue) in queues.enumerate() {
            if let (Some(kind), None) = (queue, &have[number]) {
                requests.push(Request::RestoreQueue(number, kind));
            }
        }
        requests
    }

    /// Carries out one request, as the kernel does.
    pub(crate) fn apply(&mut self, name: &str, request: Request) {
        let root = &mut self.interfaces.get_mut(name).unwrap().root;
        match request {
            Request::CreateRoot => *root = Root::Ours(Tree::default()),
            Request::DeleteRoot => *root = Root::Host(Host::default()),
            Request::RestoreRoot(host) => *root = Root::Host(host),
            Request::RestoreQueue(number, kind) => {
                let Root::Host(host) = root else {
                    panic!("{name} has no queues")
                };
                host.queues[number] = Some(kind);
            }
            request => {
                let Root::Ours(tree) = root else {
                    panic!("{name} has no tree")
                };
                tree.apply(request);
            }
        }
    }
}

impl Host {
    /// Returns it as it is before its queues are.
    fn bare(&self) -> Self {
        let queues = vec![None; self.queues.len()];
        let kind = self.kind.clone();
        Self { kind, queues }
    }
}

impl Tree {
    fn apply(&mut self, request: Request) {
        match request {
            Request::SetDefault(leaf) => self.default = Some(leaf),
            Request::SetClassifier(classifier) => self.classifier = classifier,
            Request::SetClass(minor, rate) => drop(self.classes.insert(minor, rate)),
            Request::DeleteClass(minor) => assert!(self.classes.remove(&minor).is_some()),
            other => panic!("{other:?} concerns a root"),
        }
    }

    fn has(&self, class: Class) -> bool {
        // HTB reads priorities, whatever its filters are.
        let classifier = match class {
            Class::Priority(_) => Classifier::Priority,
            Class::Mark { .. } => self.classifier,
        };
        let mut minors = self.classes.keys();
        minors.any(|&minor| classifier.class(minor) == class)
    }
}
