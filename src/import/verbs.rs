//! The verbs with which pages tell people what to do: a line that begins with one is something to do, another is a remark.
//!
//! A verb that is missing costs a step of the import, which then stands as a remark above the next one; a word that is a
//! verb in one page and a noun in another (`change`, `plan`) costs a step that nobody wrote. So only verbs are listed that
//! begin an order in pages people keep, and as they stand there: the imperative in English, which is the infinitive in the
//! other three.

/// In English.
const ENGLISH: &str = "\
    access acknowledge activate add announce apply approve archive ask attach back backup block bump \
    build call cancel capture check checkout clear click clone close collect commit compare configure \
    confirm connect contact copy cordon create cut decommission delete deploy destroy disable document \
    download drain edit enable ensure execute export fetch find flush follow get give go import \
    increase inform initiate inspect install investigate invoke keep kill launch list load lock log \
    login look make mark merge migrate monitor move navigate notify observe open page pause perform \
    ping post prepare press promote publish pull push put raise re-enable reach read reboot rebuild \
    record redeploy reduce release reload remove repeat replace reset resolve restart restore resume \
    retry revert review roll rotate run save scale schedule select send set shut sign skip snapshot ssh \
    start stop submit sync switch tag take tell test toggle trigger turn type undeploy uninstall unlock \
    unset update upgrade upload use validate verify visit wait warm watch write";

/// In French, as infinitives. `se` begins those that are reflexive: `se connecter`.
const FRENCH: &str = "\
    ajouter annoncer appeler arrêter attendre avertir basculer cliquer communiquer confirmer contrôler \
    copier créer démarrer déployer désactiver exécuter fermer informer installer lancer mettre migrer \
    modifier notifier ouvrir prévenir purger recharger redémarrer relancer restaurer s'assurer \
    sauvegarder se supprimer surveiller taguer tester valider vérifier vider";

/// In German.
const GERMAN: &str = "\
    abwarten ausführen bestätigen informieren neustarten öffnen prüfen starten stoppen warten";

/// In Spanish.
const SPANISH: &str = "\
    abrir comprobar confirmar desplegar ejecutar esperar reiniciar verificar";

/// Whether a word, in small letters, is one of them.
pub(super) fn is_verb(word: &str) -> bool {
    [ENGLISH, FRENCH, GERMAN, SPANISH].iter().any(|verbs| verbs.split_whitespace().any(|verb| verb == word))
}
