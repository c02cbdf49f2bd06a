//! The shell blocks of a document.

/// The lines of one block, in order.
#[derive(Debug, Default)]
pub(crate) struct Block {
    pub(crate) lines: Vec<Line>,
}

/// One line, with its continuations joined.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) file: String,
    /// Without a comment, which begins with two spaces and a `#`.
    pub(crate) text: String,
}

/// The ```` ```sh ```` blocks of `text`, the content of `file`. A backslash at the end of a line continues it.
pub(crate) fn blocks(file: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut joined = String::new();
    for line in text.lines().map(str::trim) {
        match (&mut open, line) {
            (None, "```sh") => open = Some(Block::default()),
            (None, "```bash" | "```shell" | "```console") => panic!("{file}: {line} must be ```sh"),
            (None, _) | (Some(_), "") => {}
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(block), _) => {
                joined.push_str(line);
                if joined.ends_with('\\') {
                    joined.pop();
                    continue;
                }
                let text = joined.split_once("  # ").map_or(&*joined, |(text, _)| text).trim().to_owned();
                block.lines.push(Line { file: file.to_owned(), text });
                joined.clear();
            }
        }
    }
    assert!(open.is_none() && joined.is_empty(), "{file}: a block is not closed");
    blocks
}
