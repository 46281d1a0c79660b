//! What `docs/writing-ivr-scripts.md` and the examples say is so.

use std::time::Duration;

use sems_app::{CallError, Unavailable, testing::TestHost};

use crate::{Scripts, caller, top};

/// The Python blocks of the document, each with the name in its first line: `# name.py`.
fn blocks() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(top().join("docs/writing-ivr-scripts.md")).expect("there");
    let blocks = text.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    let named = |block: &str| {
        let name = block.lines().next()?.strip_prefix("# ")?.trim().to_owned();
        name.ends_with(".py").then(|| (name, block.to_owned()))
    };
    blocks.map(|block| named(block).expect("a block begins with its name")).collect()
}

fn documented() -> Scripts {
    let scripts = Scripts::new();
    for (name, source) in blocks() {
        scripts.write(&name, &source);
    }
    scripts
}

#[tokio::test]
async fn the_examples_of_the_document_run() {
    let scripts = documented();
    assert_eq!(scripts.call("hello.py", caller()).await.heard(), ["welcome"]);

    let person = caller().hears("ivr_instruction").presses("1");
    assert_eq!(scripts.call("menu.py", person).await.heard(), ["ivr_instruction", "echo/intro"]);

    let person =
        caller().hears_beep().speaks(Duration::from_secs(2)).waits(Duration::from_secs(9)).hangs_up();
    let outcome = scripts.call("parrot.py", person).await;
    assert!(matches!(outcome.result, Err(CallError::HungUp)), "{:?}", outcome.result);
    assert!(!outcome.recordings().is_empty());

    let mailboxes = scripts.host.mailboxes();
    mailboxes.add("script@example.org");
    let person = caller().after(Unavailable::Busy).hears_beep().speaks(Duration::from_secs(3)).hangs_up();
    let outcome = scripts.call("take_message.py", person).await;
    assert_eq!(outcome.heard(), ["vm/busy", "tone 440 Hz"]);
    assert_eq!(mailboxes.messages_of("script@example.org").len(), 1, "{:?}", outcome.result);
}

#[test]
fn the_document_has_the_examples_that_are_tested() {
    let names: Vec<_> = blocks().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["hello.py", "menu.py", "take_message.py", "parrot.py"]);
}

#[tokio::test]
async fn the_shipped_examples_run() {
    let host = TestHost::new().instant().search(top());
    let ivr = host.load(ivr::PLUGIN, "").expect("loads");
    host.mailboxes().add("alice@example.org");
    let menu = |person: sems_app::testing::Caller| ivr.call(person.params("script = \"examples/menu.py\""));
    let outcome = menu(caller().presses("2").hears_beep().speaks(Duration::from_secs(3)).hangs_up()).await;
    assert_eq!(host.mailboxes().messages_of("alice@example.org").len(), 1, "{:?}", outcome.result);
    assert_eq!(menu(caller()).await.heard(), ["welcome", "welcome", "welcome", "goodbye"]);
    let parrot = caller().params("script = \"examples/parrot.py\"").speaks(Duration::from_secs(2));
    let outcome = ivr.call(parrot).await;
    assert!(outcome.result.is_ok(), "{:?}", outcome.result);
    assert_eq!(outcome.recordings().len(), 1);
}

/// The stub and the module name the same things, with the same parameters.
#[tokio::test]
async fn the_stub_describes_the_module() {
    let scripts = Scripts::new();
    scripts.write("compare.py", COMPARE);
    let stub = top().join("ivr_scripts/ivr.pyi").display().to_string();
    let outcome =
        scripts.call("compare.py", caller().info(|info| info.headers.push(("stub".into(), stub)))).await;
    assert_eq!(outcome.heard(), ["same"], "{:?}", outcome.result);
}

const COMPARE: &str = r##"
import ast, inspect, ivr

def methods(cls):
    found = {}
    for name, value in inspect.getmembers(cls):
        if name.startswith("_") or isinstance(value, property) or not callable(value):
            continue
        found[name] = list(inspect.signature(value).parameters)
    return found

def stub_methods(tree):
    found = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.decorator_list:
            args = [arg.arg for arg in node.args.args]
            found[node.name] = args + ([node.args.vararg.arg] if node.args.vararg else [])
    return found

async def serve(call):
    with open(call.header("stub")) as file:
        tree = ast.parse(file.read())
    public = {node.name: node for node in tree.body if hasattr(node, "name") and not node.name.startswith("_")}
    assert set(public) == set(ivr.__all__), set(public) ^ set(ivr.__all__)
    facts = stub_methods(next(node for node in tree.body if getattr(node, "name", "") == "_Facts"))
    for name in ["IncomingCall", "Call", "Mailbox", "BlockingIncomingCall", "BlockingCall", "BlockingMailbox"]:
        stub = stub_methods(public[name])
        if "Mailbox" not in name:
            stub |= facts
        real = methods(getattr(ivr, name))
        assert stub == real, (name, stub, real)
    call = await call.answer()
    await call.play("same")
"##;
