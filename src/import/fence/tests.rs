use super::*;

fn commands(info: Option<&str>, code: &str) -> Vec<String> {
    read(info, code)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|line| match line {
            Line::Command { text, .. } => Some(text),
            _ => None,
        })
        .collect()
}

#[test]
fn marked_fences_hold_commands_and_what_they_print_does_not() {
    assert_eq!(commands(Some("bash"), "# 1. Go\nmytool promote v1\n./x.sh"), ["mytool promote v1", "./x.sh"]);
    let mixed = "kubectl get pods\nNAME    READY   STATUS\napi-1   1/1     Running\n\nkubectl apply -f x.yaml\ndeployment.apps/api configured";
    assert_eq!(commands(Some("sh"), mixed), ["kubectl get pods", "kubectl apply -f x.yaml"]);
    assert_eq!(commands(Some("bash"), "/lgtm\n!deploy prod\nmake x"), ["make x"]);
    let queries = "// Top 5\ntopk(5, rate(x[4m]))\nsum by (node) (\n  rate(x[4m])\n)\nmake x";
    assert_eq!(commands(Some("sh"), queries), ["make x"]);
    assert_eq!(commands(None, "/srv/app/deploy.yml"), Vec::<String>::new());
    assert_eq!(commands(Some("sh"), "up() { make x; }\nup"), ["up() { make x; }", "up"]);
    for info in ["json", "yaml", "text", "sql", "mermaid", "python", "diff"] {
        assert_eq!(read(Some(info), "make x"), None, "{info}");
    }
}

#[test]
fn sessions_have_prompts() {
    let code = "$ kubectl get pods\nNAME READY\nmake 1/1\n$ make \\\n  deploy\ndone";
    assert_eq!(commands(Some("console"), code), ["kubectl get pods", "make \\\n  deploy"]);
    assert_eq!(commands(None, "deploy@bastion:~$ make x\nok"), ["make x"]);
    assert_eq!(commands(None, "[root@db1 ~]# systemctl stop x"), ["systemctl stop x"]);
    assert_eq!(
        commands(Some("console"), "# systemctl restart nginx\n# exit"),
        ["systemctl restart nginx", "exit"]
    );
    assert_eq!(commands(None, "$ cat <<EOF\n> a\n> EOF\nout"), ["cat <<EOF\na\nEOF"]);
}

#[test]
fn unmarked_fences_must_be_commands_in_every_line() {
    assert_eq!(commands(None, "git pull\nmake deploy"), ["git pull", "make deploy"]);
    for code in [
        "alice\nbob",
        "git pull\nAlready up to date.",
        "make sure that this is read",
        "{\"a\": 1}",
        "time flies\nlike an arrow",
        "a --> b",
        "web-1\nweb-2",
    ] {
        assert_eq!(read(None, code), None, "{code}");
    }
}

#[test]
fn inline_commands_are_told_from_mentions() {
    let of = |plain: &str, code: &str| inline(plain, &[code.to_owned()]).is_some();
    assert!(of("Run `make deploy`", "make deploy"));
    assert!(of("`kubectl rollout restart deploy/api`", "kubectl rollout restart deploy/api"));
    assert!(of("Restart: `systemctl restart api`.", "systemctl restart api"));
    assert!(!of("Pods are ready (check with `kubectl get pods` often)", "kubectl get pods"));
    assert!(!of("The `make deploy` target is slow", "make deploy"));
    assert!(!of("Edit `values.yaml`", "values.yaml"));
}

#[test]
fn boxes_in_a_fence_are_items_and_no_commands() {
    let list = "[ ] CI tests passing\n[x] SBOM clean\n\n☐ Team told\n";
    assert_eq!(
        boxes(None, list),
        Some(vec![(0, "CI tests passing", false), (1, "SBOM clean", true), (3, "Team told", false)])
    );
    assert_eq!(boxes(Some("markdown"), list), None);
    assert_eq!(boxes(None, "[ -f x ] && make\n"), None);
    assert_eq!(read(Some("bash"), list).map(|lines| lines.len()), Some(3));
    assert_eq!(commands(Some("bash"), list), Vec::<String>::new());
    assert_eq!(commands(Some("bash"), "[ -f x ] && make\n"), ["[ -f x ] && make"]);
}

#[test]
fn a_script_is_one_command_and_a_file_is_told_from_it() {
    let script = "#!/bin/bash\n# Deploys.\nset -e\nmake a\nmake b\n";
    assert_eq!(commands(Some("bash"), script), [script.trim_end()]);
    assert!(!is_file(script) && is_file("#!/bin/sh\n# scripts/watch.sh\nwhile true; do x; done\n"));
}

#[test]
fn variables_before_a_command_with_its_lines_continued_are_no_output() {
    let code = "A=<a> B=<b> \\\n  bash restore.sh\n";
    assert_eq!(commands(Some("bash"), code), [code.trim_end()]);
}
