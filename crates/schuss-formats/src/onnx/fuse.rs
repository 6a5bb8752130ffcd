//! Functions that exporters take apart, put together again.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::messages::{GraphProto, NodeProto};
use super::run::{Attributes, Tensor};

/// How far constants may be off, as they are rounded to single precision.
const ROUNDING: f64 = 1e-6;
/// From there on `softplus(x)` is x in single precision: ln(1 + exp(-15)) is 3e-7.
const FAR: f64 = 15.0;
/// Products after one another that are looked at.
const STEPS: usize = 4;

/// The nodes of a graph, one in place of those that compute a function together:
/// - `Gelu`, x (1 + erf(x/√2))/2
/// - `Swish`, x σ(x)
/// - `Mish`, x tanh(softplus(x))
/// - `Softplus`, where x stands in its place if it is large
///
/// Values within must be used nowhere else.
pub(super) fn fuse(graph: &GraphProto) -> Vec<Cow<'_, NodeProto>> {
    let uses = Uses::of(graph);
    let (mut gone, mut put): (HashSet<usize>, HashMap<usize, NodeProto>) = Default::default();
    // Mish, which has one in it, before softplus.
    for at in ["Erf", "Sigmoid", "Tanh", "Where"].into_iter().flat_map(|operator| uses.all(operator)) {
        if let Some((name, x, parts)) = uses.function(at)
            && parts.iter().all(|part| !gone.contains(part))
            && let Some(&end) = parts.last()
        {
            let NodeProto { name: end_name, output, .. } = graph.node[end].clone();
            let (op_type, input) = (name.into(), vec![x.into()]);
            gone.extend(parts);
            put.insert(end, NodeProto { input, output, name: end_name, op_type, ..NodeProto::default() });
        }
    }
    let kept = |(at, node)| match put.remove(&at) {
        Some(fused) => Some(Cow::Owned(fused)),
        None if gone.contains(&at) => None,
        None => Some(Cow::Borrowed(node)),
    };
    graph.node.iter().enumerate().filter_map(kept).collect()
}

/// Who gives, and who takes, the values of a graph.
struct Uses<'g> {
    nodes: &'g [NodeProto],
    givers: HashMap<&'g str, usize>,
    /// The graph itself takes its outputs.
    takers: HashMap<&'g str, Vec<Option<usize>>>,
    /// Single numbers.
    constants: HashMap<&'g str, f64>,
}

impl<'g> Uses<'g> {
    fn of(graph: &'g GraphProto) -> Self {
        let (mut givers, mut constants) = (HashMap::new(), HashMap::new());
        let mut takers: HashMap<&str, Vec<Option<usize>>> = HashMap::new();
        let single = |tensor| Tensor::read(tensor).ok().and_then(|tensor| tensor.single());
        for tensor in graph.initializer.iter().filter(|tensor| tensor.dims.iter().all(|size| *size == 1)) {
            constants.extend(single(tensor).map(|number| (tensor.name.as_str(), number)));
        }
        for (at, node) in graph.node.iter().enumerate() {
            node.input.iter().for_each(|name| takers.entry(name).or_default().push(Some(at)));
            let Some(output) = node.output.first() else { continue };
            givers.insert(output.as_str(), at);
            if node.op_type == "Constant" {
                let attributes = Attributes::of(node);
                let tensor = attributes.get("value").and_then(|value| value.t.as_ref());
                let number = match tensor.filter(|tensor| tensor.dims.iter().all(|size| *size == 1)) {
                    Some(tensor) => single(tensor),
                    None => attributes.get("value_float").map(|value| f64::from(value.f)),
                };
                constants.extend(number.map(|number| (output.as_str(), number)));
            }
        }
        graph.output.iter().for_each(|output| takers.entry(&output.name).or_default().push(None));
        Self { nodes: &graph.node, givers, takers, constants }
    }

    /// All nodes of this operator.
    fn all(&self, operator: &'static str) -> impl Iterator<Item = usize> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter(move |(_, node)| node.op_type == operator).map(|(at, _)| at)
    }

    /// The node that gives a value, if it is of this operator.
    fn giver(&self, value: &str, operator: &str) -> Option<(usize, &'g NodeProto)> {
        let at = *self.givers.get(value)?;
        Some((at, &self.nodes[at])).filter(|(_, node)| node.op_type == operator)
    }

    /// The node that takes a value, if there is one alone.
    fn taker(&self, value: &str) -> Option<(usize, &'g NodeProto)> {
        match self.takers.get(value)?[..] {
            [Some(at)] => Some((at, &self.nodes[at])),
            _ => None,
        }
    }

    /// x and k, where a value is `k x`, and the node that makes it.
    fn scaled(&self, value: &str) -> Option<(usize, &'g str, f64)> {
        let at = *self.givers.get(value)?;
        let node = &self.nodes[at];
        let [x, by] = two(node)?;
        match (node.op_type.as_str(), self.constants.get(x), self.constants.get(by)) {
            ("Mul", None, Some(k)) => Some((at, x, *k)),
            ("Mul", Some(k), None) => Some((at, by, *k)),
            ("Div", None, Some(k)) => Some((at, x, k.recip())),
            _ => None,
        }
    }

    /// The function, its x, and the nodes that compute it, the last of which gives it, where `at` is the one that tells it.
    fn function(&self, at: usize) -> Option<(&'static str, &'g str, Vec<usize>)> {
        let node = &self.nodes[at];
        let [from, to] = [node.input.first()?.as_str(), node.output.first()?.as_str()];
        match node.op_type.as_str() {
            "Sigmoid" => Some(("Swish", from, self.product(from, to, 1.0, vec![at])?)),
            "Tanh" => {
                let (x, parts) = self.softplus(from)?;
                self.taker(from)?;
                Some(("Mish", x, self.product(x, to, 1.0, [parts, vec![at]].concat())?))
            }
            "Erf" => {
                let (inner, x, k) = self.scaled(from)?;
                self.taker(from)?;
                let (outer, add) = self.taker(to).filter(|(_, node)| node.op_type == "Add")?;
                let one = self.constants.get(other(add, to)?)?;
                let is_gelu = (k - std::f64::consts::FRAC_1_SQRT_2).abs() < ROUNDING && *one == 1.0;
                let parts = vec![inner, at, outer];
                is_gelu.then(|| Some(("Gelu", x, self.product(x, add.output.first()?, 0.5, parts)?)))?
            }
            "Where" => self.softplus(to).map(|(x, parts)| ("Softplus", x, parts)),
            _ => None,
        }
    }

    /// x, where a value is `softplus(x)`, and the nodes that make it; x itself may stand in its place where it is large.
    fn softplus(&self, value: &str) -> Option<(&'g str, Vec<usize>)> {
        if let Some((at, node)) = self.giver(value, "Softplus") {
            return Some((node.input.first()?, vec![at]));
        }
        let (end, chosen) = self.giver(value, "Where")?;
        let [is_large, large, small] = &chosen.input[..] else { return None };
        let (test, greater) = self.giver(is_large, "Greater")?;
        let (at, softplus) = self.giver(small, "Softplus")?;
        self.taker(is_large)?;
        self.taker(small)?;
        let [x, limit] = two(greater)?;
        let is_one = x == large && *softplus.input == [x] && *self.constants.get(limit)? >= FAR;
        is_one.then(|| (x, vec![at, test, end]))
    }

    /// The nodes up to the one that gives `factor x ⊙ value`, in whatever order that is multiplied.
    fn product(&self, x: &str, mut value: &'g str, factor: f64, mut parts: Vec<usize>) -> Option<Vec<usize>> {
        let (mut has_x, mut by) = (false, 1.0);
        for _ in 0..STEPS {
            let (at, node) = self.taker(value)?;
            let other = other(node, value)?;
            match (node.op_type.as_str(), self.constants.get(other)) {
                ("Mul", Some(constant)) => by *= constant,
                ("Div", Some(constant)) if node.input[0] == value => by /= constant,
                ("Mul", None) if !has_x => {
                    if other != x {
                        let (inner, _, k) = self.scaled(other).filter(|(_, of, _)| *of == x)?;
                        self.taker(other)?;
                        by *= k;
                        parts.push(inner);
                    }
                    has_x = true;
                }
                _ => return None,
            }
            parts.push(at);
            value = node.output.first()?;
            if has_x && (by - factor).abs() < ROUNDING {
                return Some(parts);
            }
        }
        None
    }
}

fn two(node: &NodeProto) -> Option<[&str; 2]> {
    match &node.input[..] {
        [x, y] => Some([x, y]),
        _ => None,
    }
}

/// The other one of two inputs.
fn other<'n>(node: &'n NodeProto, value: &str) -> Option<&'n str> {
    let [x, y] = two(node)?;
    Some(if x == value { y } else { x })
}
