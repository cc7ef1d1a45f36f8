use super::*;

#[test]
fn headings_are_known_by_their_words() {
    for (text, role) in [
        ("2. Pre-Deployment Checklist", Some(Role::Checklist)),
        ("4.1. Quick Rollback (< 5 minutes)", Some(Role::Rollback)),
        ("4.2. Database Rollback (if migration causes issues)", Some(Role::DatabaseRollback)),
        ("When to roll back", Some(Role::Triggers)),
        ("5. Post-Deployment Tasks", Some(Role::Tasks)),
        ("6.1. Severity Levels", Some(Role::Severity)),
        ("6. Incident Response", Some(Role::Incident)),
        ("Appendix A: Change Log", Some(Role::Changes)),
        ("7.1. Key Metrics", Some(Role::Metrics)),
        ("7.2. Monitoring Tools", Some(Role::Links)),
        ("8. Emergency Contacts", Some(Role::Contacts)),
        ("Appendix B: Tool References", Some(Role::Links)),
        ("3.3. Deployment Completion", Some(Role::Completion)),
        ("1. Executive Summary", Some(Role::Summary)),
        ("Prérequis", Some(Role::Checklist)),
        ("Retour arrière", Some(Role::Rollback)),
        ("Step 2: Deploy", None),
        ("3.2. Step-by-Step Instructions", None),
        ("Deployment Procedure", None),
        ("Verification", Some(Role::Validation)),
        ("Post-Deployment Checklist", Some(Role::Tasks)),
        ("Preconditions", Some(Role::Checklist)),
        ("Manual override", Some(Role::Failure)),
        ("Our principles", Some(Role::Notes)),
        ("Triggers", Some(Role::Triggers)),
        ("Trigger", None),
    ] {
        assert_eq!(of_heading(text), role, "{text}");
    }
}

#[test]
fn labels_are_known_by_their_words() {
    for (text, role) in [
        ("Validation", Some(Role::Validation)),
        ("Validation (15 minutes after traffic switch)", Some(Role::Validation)),
        ("EXECUTE IMMEDIATELY if", Some(Role::Triggers)),
        ("If health checks fail", Some(Role::Failure)),
        ("Rollback (if migration fails)", Some(Role::Rollback)),
        ("Critical Success Factors", Some(Role::Success)),
        ("Communication Template", Some(Role::Template)),
        ("Time", None),
        ("Expected output", Some(Role::Output)),
    ] {
        assert_eq!(of_label(text), role, "{text}");
    }
}

#[test]
fn numbers_of_headings_are_no_words() {
    for (text, bare) in [
        ("3.2. Steps", "Steps"),
        ("Step 4: Health Check GREEN", "Health Check GREEN"),
        ("1) Do it", "Do it"),
        ("5 minutes", "5 minutes"),
        ("Étape 2 – Bascule", "Bascule"),
        ("Stepping", "Stepping"),
        ("2024 plan", "2024 plan"),
    ] {
        assert_eq!(without_number(text), bare);
    }
}

#[test]
fn a_label_that_speaks_of_a_rollback_is_none() {
    for label in ["Rollback (if migration fails)", "To roll back:", "Rollback action"] {
        assert!(undoes(label), "{label}");
    }
    for label in ["To test auto-rollback, inject a failure", "After any rollback, document"] {
        assert!(!undoes(label), "{label}");
    }
}
