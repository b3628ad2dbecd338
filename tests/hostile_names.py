"""Names that steer whoever shows, stores or computes with them, and some that only look so."""

# What a spreadsheet would compute, a terminal obey, or a damaged file hold.
REFUSED = (
    *(
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07",
        "\x9b31m",
        "back\x08space",
        "cr\rover",
        "a\x7fb",
        "a\0b",
        "a\nb",
    ),
    *("a\r\nb", "a\tb", "a\u2028b", "a\u202eb", "a\u200bb", "\ufeffa", "a\u0085b", "a\ud800b"),
    *(
        "=1+1",
        '=HYPERLINK("http://x","y")',
        "=cmd|' /C calc'!A0",
        '="SEPT2"',
        "\uff1d1+1",
        "+cmd|' /C calc'!A0",
    ),
    *("-2+3+cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0", "-IMPORTXML(A1)"),
)
# Of HTML, templates, paths, formats, SQL, YAML, mathematics, markup of terminals, and Markdown.
KEPT = (
    *(
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '" onmouseover="alert(1)',
        "' onfocus='alert(1)",
    ),
    *(
        "</title></style><svg/onload=alert(1)>",
        "javascript:alert(1)",
        "{{ 7*7 }}",
        "{% raw %}",
        "&lt;b&gt;",
        "<!--",
    ),
    *(
        "../../x",
        "/etc/passwd",
        "C:\\x",
        "..",
        ".",
        "~",
        "CON",
        "a/b",
        "..\\..\\x",
        "%s%n%x",
        "{0.__class__}",
    ),
    *(
        "${HOME}",
        "$(id)",
        "`id`",
        "'; DROP TABLE runs;--",
        '"',
        "null",
        "- a: b",
        "&a *a",
        "a: b",
        "#x",
        "[]",
        "{}",
    ),
    *(
        "!!python/object/apply:os.system [id]",
        "$\\frac{$",
        "$x^{$",
        "a$b$c",
        "_hidden",
        "[red]x[/red]",
        "[/]",
    ),
    *("[x](javascript:alert(1))", "![x](http://x)", "a|b", "*", "1e5", "007", "lt", "x" * 3000),
)
# Names of genes, samples and tumour types as they are in the field.
PLAIN = ("-", "-1", "+", "-/-", "+/+", "HLA-A*02:01", "hsa-miR-21-5p", "IGH@", "ER-", "5'-NT", "(+)-catechin")
PLAIN += ("4E-BP1_pS65", "β-actin", "日本", "T-ALL", "-0.5", "?", "<5 years", "A&E", "100% tumour")
